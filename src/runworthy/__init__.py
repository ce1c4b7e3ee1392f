"""Will this software run there, and if not, why, and what makes it run?"""

__version__ = "0.1.0"
