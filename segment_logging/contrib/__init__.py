"""Web frameworks, Celery and AWS Lambda: a program imports only the modules that it uses."""
