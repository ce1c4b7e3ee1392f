"""The model against the real loaders: whatever both can say of a file must be equal."""
