"""The outside view: what a client of the stack sees."""
