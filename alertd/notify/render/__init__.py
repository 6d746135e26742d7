"""A message in the forms that several backends share."""
