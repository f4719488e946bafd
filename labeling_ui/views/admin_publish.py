"""Publishing: the labels that the votes come to, as files that the pipeline reads."""

from __future__ import annotations

import streamlit as st

from labeling_ui.auth import Identity
from labeling_ui.classes import label_classes
from labeling_ui.service import running
from labeling_ui.views.blocks import bars
from vigil.labels.consensus import State
from vigil.labels.outputs import maker_of
from vigil.labels.publishing import Published, preview, publish


def show(user: Identity) -> None:
    """Show what would be published, publish it, and say what to do next."""
    service = running()
    config = service.config
    found = preview(service.store, config)
    st.caption(
        f"{len(found.labels)} clips have a label and go to {config.labeling.publish}, with "
        f"{len(found.events)} events beside it. Left out: {found.stale} cut anew since they were "
        f"labeled, {found.gone} no longer cut, {found.states[State.DISPUTED]} disputed, "
        f"{found.states[State.PARTIAL]} with too few votes."
    )
    colors = {
        one.name: one.color for one in label_classes(config.classes, service.store.settings())
    }
    bars(found.classes, colors)
    if st.button("Publish", type="primary", disabled=not found.labels):
        _result(publish(service.store, config, service.paths, user.name))


def _result(published: Published) -> None:
    st.success(f"Published {len(published.snapshot.labels)} labels.")
    st.text(f"{published.path.name}\nsha256 {published.sha256}")
    if published.advice:
        st.write(f"{_read_now(published)}So that it reads all that you published, set under "
                 "“paths” in params.yaml:")  # fmt: skip
        st.code("\n".join(published.advice), language="yaml")
    st.write("Then train on them:")
    st.code("dvc repro", language="bash")


def _read_now(published: Published) -> str:
    """Say which labels the pipeline goes by until somebody changes it; empty where these."""
    if not any(line.startswith("labels:") for line in published.advice):
        return ""
    service = running()
    labels = service.paths.labels
    maker = maker_of(labels, service.config, service.paths)
    inside = labels.is_relative_to(service.paths.root)
    name = labels.relative_to(service.paths.root) if inside else labels
    return f"The pipeline still reads {name}" + (f", which `{maker}` makes. " if maker else ". ")
