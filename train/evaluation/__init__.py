"""Networks compared with each other, and weights evaluated by the field's standard protocols."""
