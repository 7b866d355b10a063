"""The reference under ``docs/reference``, written from the models and the command line: ``make reference``."""
