"""Storage: real file systems, real installers, real peers."""
