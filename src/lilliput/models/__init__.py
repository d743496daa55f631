"""Model families: a contract and one file per family."""
