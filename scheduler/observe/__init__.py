"""What the outside can see of a running Hindcast: health, figures, the names of requests, reports of errors."""
