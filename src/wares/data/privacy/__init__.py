"""Personal data: what is personal, how it is found, how a person is removed from everything."""
