"""Recipes: complete YAML files, one per reproducible run."""
