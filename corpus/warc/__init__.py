"""The archive reader: it turns the bytes of WARC, ARC and WET files into records and stretches of damage."""
