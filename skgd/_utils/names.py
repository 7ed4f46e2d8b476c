"""Names that a parameter does not take, and the one that was meant."""

from difflib import get_close_matches

# The most characters of a value that a message shows.
SHOWN = 200
# Names of the same in other libraries: scikit-learn, Keras, torch, statsmodels, SciPy. Names
# are compared in lower case and without anything between letters, see `_plain`.
SYNONYMS = {
    "loss": {
        "squared_error": "mse squared ls ols l2 leastsquares meansquared squaredloss quadratic "
        "gaussian normal meansquarederror mseloss",
        "absolute_error": "mae absolute lad l1 meanabsolute meanabsoluteerror l1loss",
        "quantile": "pinball pinballloss quantileloss quantreg",
        "huber": "huberloss smoothl1 smoothl1loss",
        "log_cosh": "logcoshloss",
        "cauchy": "lorentzian cauchyloss",
        "poisson": "poissonnll poissonnllloss poissonloss halfpoisson",
        "gamma": "gammadeviance halfgamma",
        "tweedie": "tweediedeviance",
        "log_loss": "log logistic logisticregression logit deviance binomial binomialdeviance "
        "multinomial bce bceloss bcewithlogits bcewithlogitsloss binarycrossentropy crossentropy "
        "crossentropyloss ce categoricalcrossentropy sparsecategoricalcrossentropy nll nllloss "
        "softmax",
        "hinge": "svm svc hingeloss categoricalhinge multimarginloss linearsvc",
        "squared_hinge": "l2svm squaredhingeloss",
        "modified_huber": "modifiedhuberloss",
        "focal": "focalloss binaryfocalcrossentropy sigmoidfocalloss",
        "epsilon_insensitive": "svr epsilon linearsvr",
    },
    "penalty": {
        None: "none no false",
        "l2": "ridge tikhonov weightdecay squaredl2",
        "l1": "lasso",
        "elasticnet": "l1l2 enet",
    },
    "optimizer": {
        "auto": "newton newtoncg newtoncholesky liblinear irls svd cholesky lsqr default",
        "lbfgs": "lbfgsb bfgs cg newtonkrylov",
        "saga": "sag",
        "gradient_descent": "gd batchgradientdescent gradient",
        "accelerated_gradient": "fista ista proximal proximalgradient agd",
        "momentum": "sgdmomentum heavyball polyak",
        "nesterov": "sgdnesterov nag",
        "dog": "prodigy dadaptation",
        "adagrad": "ftrl",
        "sgd": "stochasticgradientdescent asgd",
    },
    "precondition": {"diagonal": "diag jacobi scale standard standardize", "full": "whiten "
                     "whitening cholesky", None: "none no identity"},
    "init": {"zeros": "zero", "random": "normal uniform randn glorotuniform xavier randomnormal"},
    "on_divergence": {"raise": "error", "recover": "warn warning ignore keep"},
    "class_weight": {"balanced": "auto balancedsubsample balance"},
    "batch_size": {"full": "all batch"},
    "scoring": {
        "neg_mean_squared_error": "mse", "neg_mean_absolute_error": "mae", "neg_log_loss":
        "log_loss logloss cross_entropy", "accuracy": "acc", "roc_auc": "auc", "r2": "rsquared",
    },
    "jac": {"2-point": "forward twopoint", "3-point": "central threepoint", "cs": "complex"},
}  # fmt: skip


def check_choice(parameter, value, allowed, more=""):
    """Raise unless a value is one of a few names or None.

    Parameters
    ----------
    parameter : str
    value : object
    allowed : sequence of str or None
    more : str, default=""
        What else may be passed, in words.
    """
    if (value is None or isinstance(value, str)) and value in allowed:
        return
    names = ", ".join(map(repr, allowed)) + (f", {more}" if more else "")
    end = did_you_mean(parameter, value, allowed)
    raise ValueError(f"{parameter}={shown(value)}: pass one of {names}{end}")


def did_you_mean(parameter, value, allowed):
    """Return the end of a sentence that asks whether one of the names allowed was meant."""
    meant = suggestion(parameter, value, allowed) if isinstance(value, str) else ()
    return f"; did you mean {meant[0]!r}?" if meant else "."


def shown(value):
    """Return a value as a message shows it: a long one is cut."""
    try:
        text = repr(value)
    except Exception:  # Python writes no integer of more than 4300 digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def suggestion(parameter, value, allowed):
    """Return what a name was meant to be, as a tuple of one of those allowed, or none."""
    plain = _plain(value)
    known = {_plain(str(name)): name for name in allowed}
    synonyms = {
        _plain(word): name for name, words in SYNONYMS.get(parameter, {}).items()
        for word in words.split() if name in allowed
    }  # fmt: skip
    for names in (known, synonyms):
        if plain in names:
            return (names[plain],)
    close = get_close_matches(plain, known, n=1) or get_close_matches(plain, synonyms, n=1)
    return tuple((known | synonyms)[each] for each in close)


def _plain(name):
    return "".join(letter for letter in name.lower() if letter.isalnum())
