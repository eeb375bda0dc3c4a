"""`corpus report`: what became of every record, as one page to look at."""
