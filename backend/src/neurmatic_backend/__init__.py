"""The Neurmatic platform: API and background jobs. One slice a package; `app` and `worker` compose them."""
