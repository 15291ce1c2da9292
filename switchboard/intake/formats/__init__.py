"""What each sender's payload looks like, and how it becomes a signal in our words; one file a format."""
