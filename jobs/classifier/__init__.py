"""`corpus classifier train`: from pages with labels to a model, its calibration, and a page about both."""
