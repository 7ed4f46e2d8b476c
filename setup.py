"""Finds the extensions: each .pyx file of the package is one. The rest is in pyproject.toml."""

import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# `-fopenmp-simd` reads the vectorisation hints in the headers (no OpenMP runtime), the two after it
# let loops with branches vectorise. No -ffast-math: NaN and infinity must be seen. GCC and Clang
# take all of them, MSVC passes over them with a warning.
FLAGS = ["-O3", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-g0"]

# Most of what Cython makes of the rules talks to Python, where -O3 takes twice the time of -O1 and
# brings nothing. What the rules' loops need of it follows: as fast as -O3 over 1000 coefficients,
# where -O1 with the vectoriser alone takes twice as long for the value of an elastic net. Kernels
# in the headers ask for -O3 by themselves (SKGD_KERNEL). The engine's batches, which are not
# kernels, seemed 1.15 times as slow without -O3.
RULES = ("skgd.losses", "skgd.optimizers", "skgd.penalties")
GCC_FLAGS = [
    "-O1", "-ftree-vectorize", "-fvect-cost-model=dynamic", "-fstrict-aliasing",
    "-funswitch-loops", "-fsplit-loops", "-fpeel-loops", "-fversion-loops-for-strides",
    "-ftree-loop-distribution", "-ftree-loop-distribute-patterns", "-finline-small-functions",
    "-fpartial-inlining", "-fcaller-saves", "-fexpensive-optimizations", "-ftree-pre", "-fgcse",
    "-frerun-cse-after-loop", "-fcse-follow-jumps", "-ftree-switch-conversion",
]  # fmt: skip

# Nothing pickles a compiled rule; left on, code for it is a quarter of the three packages of rules.
DIRECTIVES = {"language_level": 3, "auto_pickle": False}

HEADERS = [path.as_posix() for path in sorted(Path("skgd").rglob("*.h"))]


def extension(source):
    """Return the extension of a .pyx file, compiled anew after a change to any header."""
    name = ".".join(source.with_suffix("").parts)
    found = Extension(name, [source.as_posix()], depends=HEADERS)
    found.cython_directives = DIRECTIVES
    return found


class BuildExt(build_ext):
    """Builds with the flags of the compiler, and only what has changed."""

    def finalize_options(self):
        super().finalize_options()
        if self.editable_mode:
            # pip's own folder is gone after each installation.
            self.build_lib = "build/editable"

    def build_extensions(self):
        is_gcc = self.is_gcc()
        for each in self.extensions:
            is_rule = each.name.startswith(RULES)
            each.extra_compile_args = FLAGS + (GCC_FLAGS if is_gcc and is_rule else [])
        super().build_extensions()

    def is_gcc(self):
        """Tell whether the compiler is GCC, which Clang also says of itself."""
        command = getattr(self.compiler, "compiler_so", ["none"])[0]
        try:
            said = subprocess.run([command, "--version"], capture_output=True, text=True).stdout
        except OSError:
            return False
        return "Free Software Foundation" in said


setup(
    ext_modules=[extension(path) for path in sorted(Path("skgd").rglob("*.pyx"))],
    cmdclass={"build_ext": BuildExt},
)
