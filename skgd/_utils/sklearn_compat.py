"""What skgd needs of scikit-learn beyond its public API, in one place."""

from operator import attrgetter, methodcaller

# How deep in the estimators of a search a callback's context lies.
propagation_depth = attrgetter("_propagation_depth")
# The names of the constructor's parameters of a class of estimators.
constructor_parameters = methodcaller("_get_param_names")
parameter_constraints = attrgetter("_parameter_constraints")
# The scorers of a search with several, by name.
scorers_by_name = attrgetter("_scorers")


def callback_context(estimator, max_subtasks):
    """Return the context of a fit for the callbacks of an estimator."""
    return methodcaller("_init_callback_context", max_subtasks=max_subtasks)(estimator)


def set_fitted_loss(model):
    """Give a generalised linear model the loss that its own fit would have set."""
    vars(model)["_base_loss"] = methodcaller("_get_loss")(model)
