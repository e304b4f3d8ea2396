"""The security promises S1-S40, each with the tests that prove it, and what is missing.

The table is held against the tests by name: one that is renamed or removed fails here.
"""

from __future__ import annotations

import ast
import os
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import crlab

TESTS = Path(__file__).parent.parent
PACKAGE = Path(crlab.__file__).parent

PROOFS: dict[str, tuple[str, ...]] = {
    "S1": (
        "unit/views/test_hostile.py::test_no_string_makes_an_element_or_deceives",
        "unit/frame/test_export.py::test_a_styled_frame_escapes_everything",
        "browser/test_hostile.py::test_nothing_runs_and_no_element_is_new",
    ),
    "S2": (
        "unit/test_security.py::test_html_is_made_in_one_place",
        "browser/test_hostile.py::test_no_place_of_an_object_makes_a_new_kind_of_element",
    ),
    "S3": (
        "unit/model/test_escape.py::test_deceiving_characters_show_as_escapes",
        "unit/controller/test_shown_text.py::test_a_step_and_its_story_keep_their_lines",
    ),
    "S4": ("unit/frame/test_export.py::test_no_cell_of_a_csv_is_a_formula",),
    "S5": (
        "faults/test_lab_canary.py::test_no_secret_byte_in_anything_a_lab_shows",
        "faults/test_lab_canary.py::test_no_secret_byte_in_a_saved_notebook",
        "unit/model/test_redaction.py::test_what_was_revealed_does_not_print",
    ),
    "S6": ("faults/test_lab_canary.py::test_no_secret_byte_in_anything_a_lab_shows",),
    "S7": (
        "unit/model/test_redaction.py::test_known_carriers_are_masked",
        "unit/model/test_redaction.py::test_free_text_is_masked",
    ),
    "S8": ("faults/test_lab_canary.py::test_no_secret_byte_in_any_widgets_state",),
    "S9": (
        "unit/report/test_rbac.py::test_the_printed_role_is_enough_and_one_verb_less_is_not",
        "contract/test_rbac_proof.py::test_any_one_right_less_is_too_little",
        "unit/lab/test_cluster.py::test_nothing_is_written_without_leave",
    ),
    "S10": (
        "unit/client/test_secrecy.py::test_a_failing_request_shows_no_token_anywhere",
        "unit/client/test_secrecy.py::test_nothing_that_holds_a_token_is_pickled",
    ),
    "S11": (
        "unit/client/test_config.py::test_a_plugin_that_fails_sends_nothing",
        "unit/client/test_config.py::test_a_user_that_is_not_understood_is_an_error",
    ),
    "S12": (
        "unit/client/test_credential.py::test_a_plugin_that_hangs_is_killed_with_its_children",
        "unit/client/test_credential.py::test_only_allowed_plugins_run",
        "unit/client/test_credential.py::test_no_shell_is_involved",
    ),
    "S13": (
        "unit/client/test_credential.py::test_fifty_threads_fetch_once",
        "unit/client/test_http.py::test_a_401_refreshes_the_credentials_once",
    ),
    "S14": (
        "unit/client/test_endpoint.py::test_an_untrusted_server_is_refused",
        "unit/client/test_config.py::test_unverified_tls_is_logged_and_shown",
    ),
    "S15": (
        "unit/client/test_endpoint.py::test_without_memory_files_the_key_is_private_and_short_lived",
    ),
    "S16": (
        "unit/client/test_endpoint.py::test_no_proxy_is_honoured",
        "unit/client/test_http.py::test_credentials_are_not_sent_in_the_clear",
    ),
    "S17": ("unit/client/test_http.py::test_redirects_are_not_followed",),
    "S18": (
        "unit/client/test_http.py::test_huge_headers_are_an_error",
        "unit/client/test_http_body.py::test_a_gzip_bomb_is_stopped",
        "unit/client/test_watch_decoder.py::test_a_line_beyond_the_cap_is_an_error_and_not_kept",
    ),
    "S19": ("unit/client/test_secrecy.py::test_dependencies_are_at_fixed_versions",),
    "S20": ("unit/apiserver/test_http.py::test_other_addresses_than_loopback_are_refused",),
    "S21": (
        "unit/apiserver/test_http.py::test_without_the_secret_there_is_nothing",
        "unit/apiserver/auth/test_authentication.py::test_a_token_is_a_user_and_a_wrong_one_is_401",
    ),
    "S22": (
        "unit/apiserver/test_http.py::test_a_foreign_host_is_refused",
        "unit/apiserver/test_http.py::test_two_hosts_are_refused",
    ),
    "S23": ("unit/apiserver/test_http.py::test_web_pages_are_refused",),
    "S24": (
        "unit/apiserver/test_http.py::test_a_body_over_the_limit_is_413",
        "unit/apiserver/test_http.py::test_one_connection_too_many_is_closed",
        "unit/apiserver/test_http.py::test_a_connection_that_sends_nothing_whole_is_closed",
    ),
    "S25": (
        "unit/test_security.py::test_another_user_of_the_machine_gets_nowhere",
        "unit/apiserver/test_http.py::test_web_pages_are_refused",
    ),
    "S26": ("unit/model/test_manifest.py::test_hostile_yaml_is_an_error_with_its_place",),
    "S27": ("unit/test_layout.py::test_nothing_is_unpickled_or_evaluated",),
    "S28": (
        "unit/trace/test_recording.py::test_a_hostile_recording_is_a_typed_error",
        "unit/trace/test_recording.py::test_limits_hold_before_memory_is_used",
        "unit/trace/test_recording.py::test_what_is_no_regular_file_is_refused",
        "unit/trace/test_recording.py::test_a_file_is_never_overwritten_and_is_private",
    ),
    "S29": (
        "unit/trace/test_recording.py::test_no_secret_is_in_a_recording_unless_asked_for",
        "unit/trace/test_recording.py::test_any_altered_byte_is_noticed",
    ),
    "S30": (
        "unit/model/test_selector.py::test_a_hostile_selector_costs_linear_time",
        "unit/client/test_dynamic.py::test_a_name_that_is_a_path_is_refused",
    ),
    "S31": (
        "unit/client/test_watch_decoder.py::test_a_bad_line_is_an_error_after_the_events_before_it",
    ),
    "S32": (
        "unit/client/test_watch_decoder.py::test_a_number_beyond_64_bits_is_data",
        "unit/client/test_watch_decoder.py::test_a_duplicate_member_cannot_smuggle_a_type",
    ),
    "S33": ("unit/lab/test_cluster.py::test_a_step_is_a_dry_run_on_a_real_cluster",),
    "S34": ("browser/test_widgets.py::test_closed_saved_and_opened_again_there_is_content",),
    "S35": (
        "unit/test_offline.py::test_importing_every_module_asks_nobody",
        "unit/test_offline.py::test_a_manual_sandbox_needs_no_network",
    ),
    "S36": ("unit/client/test_secrecy.py::test_dependencies_are_at_fixed_versions",),
    "S37": (
        "unit/model/test_redaction.py::test_a_refused_secret_does_not_echo_its_values",
        "unit/client/test_watch_decoder.py::test_the_error_holds_no_content_of_the_object",
    ),
    "S38": ("unit/controller/test_shown_text.py::test_an_error_in_a_log_line_forges_none",),
    "S39": ("unit/test_offline.py::test_files_are_their_owners_alone_under_any_umask",),
    "S40": ("unit/report/test_doctor.py::test_what_is_dangerous_is_warned_of",),
}


def functions(path: Path) -> set[str]:
    """The functions a test file defines."""
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_promise_has_its_proof() -> None:
    """S1 to S40, none left out."""
    assert list(PROOFS) == [f"S{number}" for number in range(1, 41)]
    assert all(PROOFS.values())


@pytest.mark.parametrize("promise", PROOFS)
def test_every_proof_is_a_test(promise: str) -> None:
    """By the name it is listed under."""
    for proof in PROOFS[promise]:
        file, _, name = proof.partition("::")
        assert name in functions(TESTS / file), proof


def test_html_is_made_in_one_place() -> None:
    """S2: one call makes a widget of HTML, and nothing shows Markdown, LaTeX or a script."""
    makers, forbidden = [], []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node, "attr", getattr(node, "id", getattr(node, "arg", None)))
            if name in {"Markdown", "Latex", "Math", "HTMLMath", "Javascript",
                        "description_allow_html", "SVG"}:  # fmt: skip
                forbidden.append(f"{path.name}: {name}")
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "HTML":
                makers.append(str(path.relative_to(PACKAGE)))

    assert makers == ["widgets/control.py"]
    assert forbidden == []


def test_another_user_of_the_machine_gets_nowhere() -> None:
    """S25: without the secret there is nothing, and the file that holds it is not theirs."""
    with crlab.sandbox(controllers=False) as lab, tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        kubeconfig = lab.write_kubeconfig(Path(folder) / "config")
        root = lab.url.rstrip("/").rpartition("/")[0]
        for path in ("/api/v1/namespaces", "/", "/apis"):
            for method in ("GET", "POST", "DELETE"):
                request = urllib.request.Request(root + path, method=method, data=b"{}")
                with pytest.raises(urllib.error.HTTPError, match=r"40[34]"):
                    urllib.request.urlopen(request, timeout=10)

        assert kubeconfig.stat().st_mode & 0o077 == 0
        if os.getuid() == 0:  # only root can become somebody else
            read = subprocess.run(["cat", kubeconfig], user=65534, capture_output=True)
            assert (read.returncode, read.stdout) == (1, b"")
