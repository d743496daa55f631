"""What leaves the laboratory: a trained model in the forms that others read."""
