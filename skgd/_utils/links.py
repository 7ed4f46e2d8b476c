"""Where the documentation is."""

# That of `project.urls` in pyproject.toml.
DOCUMENTATION = "https://skgd.readthedocs.io/en/stable"
DOC_LINK_TEMPLATE = DOCUMENTATION + "/api/{estimator_module}.{estimator_name}.html"
