"""What the step `command` is made of."""
