"""At home in frameworks: each module here is imported only by the program that uses it."""
