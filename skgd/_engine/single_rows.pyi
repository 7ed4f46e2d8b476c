from skgd._engine.parameters import Parameters

class DenseRowSteps:
    def __init__(self, parameters: Parameters, weight_scale: float) -> None: ...

class SparseRowSteps:
    def __init__(self, parameters: Parameters, weight_scale: float) -> None: ...
