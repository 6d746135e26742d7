"""Handles ``/act/{token}``, the links in messages: shows a form, and acts when the form is sent.

Rules that hold here:
- A GET request changes nothing, because mail scanners follow every link.
- A token that is expired, or that no key of this site has signed, reveals nothing about any milestone.
- No login is needed, because only the recipients of a message have its links. The history records which link
  was used.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.explain.request import ActionRequest
from alertd.core.explain.words import make_status_lines
from alertd.core.ledger.records import Record
from alertd.core.message.claims import make_claim_lines
from alertd.core.message.links import PURPOSE, UNDO_LASTS, Link, LinkKind, make_token, read_token
from alertd.errors import FieldProblem, RefusedAction
from alertd.web.actions.perform import find_last_action, find_record, may_see, read_form, say
from alertd.web.server.access import find_principal, refuse_other_sites, require_scope
from alertd.web.server.context import Site, find_site
from alertd.web.server.flash import read_flash, redirect
from alertd.web.server.forms import BY_LINK, MAX_NAME, make_form
from alertd.web.server.render import render_page

UNSEEN = {"x-robots-tag": "noindex, nofollow"}
SUPERSEDED = "something else has been said of it since; its own page shows what"


@require_scope(Scope.PUBLIC, from_elsewhere=True)
async def act_by_link(request: Request) -> Response:
    """Show the form that a link leads to, or do its action when the form is sent (``/act/{token}``)."""
    site = find_site(request)
    link = read_token(request.path_params["token"], site.signer.derive_keys(PURPOSE))
    if link is None:
        return _refuse(request, 404, "This link is not one of ours", "It may have been cut off on its way.")
    if link.expires <= site.clock.now():
        return _refuse(request, 410, "This link has expired", "A newer message has newer links.")
    if request.method == "POST":
        # The token proves that the form is ours, so the form needs no session and no cookie.
        refuse_other_sites(request)
        answer = await _act(request, link)
    else:
        answer = await _render_form(request, link)
    answer.headers.update(UNSEEN)
    return answer


async def _act(request: Request, link: Link) -> Response:
    site, given = find_site(request), await read_form(request)
    name = given.get("by", "")[:MAX_NAME] or "somebody"
    saying = ActionRequest(
        kind=BY_LINK[link.kind],
        by=f"{name}, by a link to {link.receiver}",
        how=f"link:{link.receiver}",
        why=given.get("why", ""),
        until=given.get("until", ""),
        on=given.get("on", ""),
        evidence=given.get("evidence", ""),
    )
    token = request.path_params["token"]
    try:
        if link.kind is LinkKind.UNDO:
            last = await find_last_action(site, link.milestone)
            if last is not None and last.kind is saying.kind and last.how == saying.how:
                return redirect(site, f"/act/{token}", "It was taken back already.")
            if last is None or last.at != link.undoes:
                raise RefusedAction(SUPERSEDED)
        answer = await say(request, link.milestone, saying)
    except FieldProblem as problem:
        return await _render_form(request, link, given=given, problem=problem)
    except RefusedAction as refused:
        return await _render_form(request, link, given=given, refused=str(refused))
    return redirect(site, f"/act/{token}", answer.told, **await _make_undo(site, link, saying))


async def _make_undo(site: Site, link: Link, saying: ActionRequest) -> dict[str, str]:
    """Make the query parameter with the link that takes the action back; none if another action came later.

    A second click on the same link gets an undo link too.
    """
    last = await find_last_action(site, link.milestone)
    if link.kind is LinkKind.UNDO or last is None or (last.kind, last.how) != (saying.kind, saying.how):
        return {}
    undo = Link(
        kind=LinkKind.UNDO,
        milestone=link.milestone,
        receiver=link.receiver,
        expires=site.clock.now() + UNDO_LASTS,
        undoes=last.at,
    )
    return {"undo": make_token(undo, site.signer.derive_key(PURPOSE))}


async def _render_form(
    request: Request,
    link: Link,
    *,
    given: dict[str, str] | None = None,
    problem: FieldProblem | None = None,
    refused: str = "",
) -> Response:
    site, now = find_site(request), find_site(request).clock.now()
    record = await find_record(site, link.milestone)
    milestone = record.milestone
    form = make_form(BY_LINK[link.kind], record, site, asks_name=True, given=given, problem=problem)
    return render_page(
        request,
        "act.html",
        409 if refused else 422 if problem else 200,
        milestone=milestone,
        claims=make_claim_lines(milestone, now, "", record.status.done_on),
        stands=list(make_status_lines(record.status, milestone.zone, now)),
        # After the action, the page confirms it and no longer shows the form.
        form=None if read_flash(request) or not _accepts_action(link, record) else form,
        token=request.path_params["token"],
        undo=_read_undo(request, link),
        refused=refused,
        may_see=may_see(find_principal(request)),
    )


def _accepts_action(link: Link, record: Record) -> bool:
    return link.kind is LinkKind.UNDO or not record.status.closed


def _read_undo(request: Request, link: Link) -> str:
    """Read the undo token in the address; "" if there is none, or if it belongs to another milestone."""
    site, token = find_site(request), request.query_params.get("undo", "")
    found = read_token(token, site.signer.derive_keys(PURPOSE))
    fits = found is not None and (found.kind, found.milestone) == (LinkKind.UNDO, link.milestone)
    return token if fits else ""


def _refuse(request: Request, status: int, title: str, advice: str) -> Response:
    answer = render_page(request, "act-refused.html", status, title=title, advice=advice)
    answer.headers.update(UNSEEN)
    return answer
