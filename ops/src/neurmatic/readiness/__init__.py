"""One executed check for each claim of the catalogue, findings as data, and the report."""
