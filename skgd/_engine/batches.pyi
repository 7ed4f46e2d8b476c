from skgd._engine.parameters import Parameters

MIN_THREADED_WORK: int

class BatchGradient:
    def __init__(self, parameters: Parameters, weight_scale: float, n_threads: int) -> None: ...
