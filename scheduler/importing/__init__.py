"""Coming from elsewhere: crontabs and Celery's periodic tasks become workflows of a project, pushed as any other."""
