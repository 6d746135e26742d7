"""What people do from a page, a link, or Slack."""
