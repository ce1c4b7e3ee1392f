"""A remedy as configuration for other machines: Ansible tasks, user-data for cloud-init, or a shell script."""

from __future__ import annotations

from typing import Literal

from runworthy.model.errors import UsageError
from runworthy.model.finding import Remedy

__all__ = ["FORMS", "Form", "export"]

Form = Literal["ansible", "cloud-init", "sh"]
FORMS: tuple[Form, ...] = ("ansible", "cloud-init", "sh")


def export(remedy: Remedy, form: Form) -> str:
    """Return the configuration that makes a remedy's edits on any machine like the one it was planned for.

    It can be applied again and again. Text that is no UTF-8 is in it as surrogates only where the form can hold bytes
    at all, as a shell script can. Raises UsageError for a remedy without edits, and for what the form cannot say.
    """
    if not remedy.edits:
        raise UsageError(f"only a person can carry this out: {remedy.title}", option="--export")
    if form == "sh":
        from runworthy.remedies.export.shell import script

        return script(remedy)
    if form == "ansible":
        from runworthy.remedies.export.ansible import playbook

        return playbook(remedy)
    if form == "cloud-init":
        from runworthy.remedies.export.cloud_init import user_data

        return user_data(remedy)
    raise UsageError(f"--export {form} is not known", hint=f"{', '.join(FORMS)} are", option="--export")
