"""The same commands on another machine: what is sent there, what runs there, and how the tool comes to be there."""
