"""The pages for people, except the timeline."""
