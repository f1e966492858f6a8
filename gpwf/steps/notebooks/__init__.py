"""What the step `notebook` is made of."""
