"""Finds the extensions: each .pyx file of the package is one. The rest is in pyproject.toml."""

import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# `-fopenmp-simd` reads the vectorisation hints in the headers (no OpenMP runtime), the two after it
# let loops with branches vectorise. No -ffast-math: NaN and infinity must be seen. GCC and Clang
# take all of them, MSVC passes over them with a warning.
FLAGS = ["-O3", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-g0"]

# Most of what Cython makes of the rules talks to Python. With only what their loops need of -O3,
# adam.pyx, classification.pyx and separable.pyx compile in 18.5 s of CPU time instead of 24.4 s.
# Over 1000 coefficients or 4096 margins, on a busy machine, 22 of 28 values, gradients, proximal
# operators and steps took 0.92 to 1.08 times as long as with -O3. Of the other six one was slower,
# a value that took from 11.8 to 23.1 us with -O3. Kernels in the headers ask for -O3 by themselves
# (SKGD_KERNEL). The engine keeps -O3, as what it would lose has not been measured well.
RULES = ("skgd.losses", "skgd.optimizers", "skgd.penalties")
GCC_FLAGS = [
    "-O1", "-ftree-vectorize", "-fvect-cost-model=dynamic", "-fstrict-aliasing",
    "-funswitch-loops", "-fsplit-loops", "-fpeel-loops", "-fversion-loops-for-strides",
    "-ftree-loop-distribution", "-ftree-loop-distribute-patterns", "-finline-small-functions",
    "-fpartial-inlining", "-fcaller-saves", "-fexpensive-optimizations", "-ftree-pre", "-fgcse",
    "-frerun-cse-after-loop", "-fcse-follow-jumps", "-ftree-switch-conversion",
]  # fmt: skip

# Nothing pickles a compiled rule; code for it was 23 % of the C of those three files.
DIRECTIVES = {"language_level": 3, "auto_pickle": False}

# What a C compiler and the headers of Python are called, for those who have not got them.
NEEDED = """
skgd is compiled while it is installed, and {problem}. Install a C compiler and Python's headers:

    Debian, Ubuntu   sudo apt install build-essential python3-dev
    Fedora           sudo dnf install gcc python3-devel
    macOS            xcode-select --install
    Windows          "Desktop development with C++" of the Visual Studio Build Tools
"""

HEADERS = [path.as_posix() for path in sorted(Path("skgd").rglob("*.h"))]


def extension(source):
    """Return the extension of a .pyx file, compiled again after a change to any header."""
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
        self.check_compiler()
        is_gcc = self.is_gcc()
        for each in self.extensions:
            is_rule = each.name.startswith(RULES)
            each.extra_compile_args = FLAGS + (GCC_FLAGS if is_gcc and is_rule else [])
        super().build_extensions()

    def check_compiler(self):
        """Say what to install where not even the smallest file can be compiled."""
        tried = {"a C compiler is missing": "int i;", "Python.h is missing": "#include <Python.h>"}
        for problem, text in tried.items():
            with tempfile.TemporaryDirectory() as folder:
                source = Path(folder, "smallest.c")
                source.write_text(text + "\n")
                try:
                    self.compiler.compile(
                        [str(source)], output_dir=folder, include_dirs=self.include_dirs
                    )
                except Exception as error:  # of as many kinds as there are compilers
                    raise SystemExit(NEEDED.format(problem=f"{problem} ({error})")) from None

    def is_gcc(self):
        """Tell whether the compiler is GCC, which Clang also says of itself."""
        command = getattr(self.compiler, "compiler_so", ["none"])[0]
        try:
            said = subprocess.run([command, "--version"], capture_output=True, text=True).stdout
        except OSError:
            return False
        return "Free Software Foundation" in said


def readme_for_index():
    """Return the README with links that work on the page of a package index."""
    urls = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]

    def absolute(link):
        mark, target = link.groups()
        kind = "raw" if mark.startswith("!") else "blob"
        return f"{mark}({urls['Source']}/{kind}/main/{target})"

    text = Path("README.md").read_text(encoding="utf-8")
    return re.sub(r"(!?\[[^\]]*\])\((?!https?:|#)([^)]+)\)", absolute, text)


setup(
    long_description=readme_for_index(),
    long_description_content_type="text/markdown",
    ext_modules=[extension(path) for path in sorted(Path("skgd").rglob("*.pyx"))],
    cmdclass={"build_ext": BuildExt},
)
