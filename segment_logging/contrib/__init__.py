"""Integrations for web frameworks, task queues and AWS Lambda. Import only the ones you use."""
