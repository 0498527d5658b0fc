"""Running somebody's script under the doctor, and reading what a run keeps."""

from glial.doctor.launching.launch import examine_run, watch
from glial.doctor.launching.output import Output
from glial.doctor.launching.script import Script, module_of, script_of
from glial.doctor.launching.verdict import Verdict

__all__ = ["Output", "Script", "Verdict", "examine_run", "module_of", "script_of", "watch"]
