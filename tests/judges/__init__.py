"""Real kernels and real loaders, asked as judges. See README.md beside this file.

Nothing here imports `runworthy`: a judge is independent of the model.
"""
