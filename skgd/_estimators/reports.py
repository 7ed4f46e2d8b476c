"""What a fitted estimator says of its coefficients on request."""

from sklearn.utils.validation import check_is_fitted

from skgd._utils.links import DOC_LINK_TEMPLATE


class Reports:
    """The reports of an estimator, and where the HTML of a notebook links to."""

    _doc_link_module = "skgd"
    _doc_link_template = DOC_LINK_TEMPLATE

    def coefficients(self, *, sort=False):
        """Return a table of the coefficients.

        Parameters
        ----------
        sort : bool, default=False
            Whether the largest coefficients come first: by ``per_deviation`` where it is known.

        Returns
        -------
        pandas.DataFrame, or dict of arrays where pandas is not installed
            A row for each feature and output, with the columns

            - feature: its name, or its number where X had no names;
            - class or output, where there are any: of two classes, the one that a positive
              coefficient speaks for;
            - coefficient: as in ``coef_``;
            - per_deviation: times the standard deviation of the column in the rows of the fit, the
              change of the margin when the feature grows by one standard deviation.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skgd import GDRegressor
        >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
        >>> table = GDRegressor(alpha=0).fit(X, y).coefficients(sort=True)
        >>> print(table.head(3).round(2).to_string(index=False))
        feature  coefficient  per_deviation
             s1        -1.09         -37.68
             s5        68.48          35.73
            bmi         5.60          24.73
        """
        from skgd._estimators import inference

        check_is_fitted(self)
        k = len(self.intercept_)
        coef, _ = self._raw_model(k, self.n_features_in_)
        columns = inference.coefficients(self, coef, getattr(self, "_memory", None), sort=sort)
        try:
            import pandas
        except ImportError:
            return columns
        return pandas.DataFrame(columns)

    def covariance(self, X, y, sample_weight=None, kind="classical"):
        """Return the covariance matrix of the estimated coefficients and intercept.

        For likelihoods ("squared_error", "log_loss", "poisson", "gamma", "tweedie") without a
        penalty or with l2. The square roots of the diagonal are the standard errors. Without a
        penalty they are those of a generalised linear model. With l2 they describe how the
        penalised estimate varies about its own mean, which the penalty has pulled towards zero:
        intervals made from them do not cover the true coefficients as often as they claim.

        Parameters
        ----------
        X : array or sparse matrix of shape (n_samples, n_features)
        y : array of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array of shape (n_samples,), default=None
            All as passed to ``fit``. A weight is taken as one over the variance of its row. Where
            weights count equal rows, pass each row as often as it counts.
        kind : {"classical", "sandwich"}, default="classical"
            "classical" trusts the variance that the loss implies, times a dispersion that is
            estimated for "squared_error", "gamma" and "tweedie". "sandwich" estimates the variance
            from the residuals (Huber and White's HC0) and stays valid where the variance of y is
            another.

        Returns
        -------
        array of shape (n_parameters, n_parameters)
            The features in the order of ``coef_``, then the intercept if there is one. Three and
            more classes follow each other, each with its intercept. For several targets of a
            regression there is one matrix for each, of shape (n_outputs, n_parameters,
            n_parameters).

        Raises
        ------
        ValueError
            For other losses and penalties, and where X does not determine the coefficients.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_diabetes
        >>> from skgd import GDRegressor
        >>> X, y = load_diabetes(return_X_y=True, scaled=False)
        >>> model = GDRegressor(penalty=None).fit(X, y)
        >>> errors = np.sqrt(np.diag(model.covariance(X, y)))
        >>> errors[:3].round(2)
        array([0.22, 5.84, 0.72])
        """
        from skgd._estimators import inference

        check_is_fitted(self)
        model = self._raw_model(len(self.intercept_), self.n_features_in_)
        return inference.covariance(self, *model, X, y, sample_weight, kind)
