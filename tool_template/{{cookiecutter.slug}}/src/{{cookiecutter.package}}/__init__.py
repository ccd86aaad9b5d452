"""The tools of {{ cookiecutter.slug }}."""
