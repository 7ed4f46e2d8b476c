"""Convert a pipeline that ends with a GDClassifier to ONNX, and compare its predictions.

Needs ``pip install skl2onnx onnxruntime``.
"""

import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skgd import GDClassifier

X, y = load_breast_cancer(return_X_y=True)
X = X.astype(np.float32)
ours = make_pipeline(StandardScaler(), GDClassifier()).fit(X, y)
plain = Pipeline([*ours.steps[:-1], ("model", ours[-1].to_sklearn())])

model = to_onnx(plain, X[:1], options={"zipmap": False})
session = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=["CPUExecutionProvider"]
)
_, probabilities = session.run(None, {"X": X})
difference = np.abs(probabilities - ours.predict_proba(X)).max()
print(f"largest difference of a probability: {difference:.1g}")
assert difference < 1e-4
