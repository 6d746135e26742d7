"""``/act/{token}``: what a link in a message leads to. A form; only sending it does anything.

Rules that hold here:
- a GET changes nothing: programs that look through mail follow every link;
- what no key of ours has signed, or has expired, is told nothing of any milestone;
- nobody need log in: who has the link was sent it, or was given it. The history says by which link it was.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from alertd.core.access import Scope
from alertd.core.explain.request import ActionRequest
from alertd.core.explain.words import standing_lines
from alertd.core.ledger.records import Record
from alertd.core.message.claims import claim_lines
from alertd.core.message.links import PURPOSE, UNDO_LASTS, Link, LinkKind, read_token, token_of
from alertd.errors import FieldProblem, RefusedAction
from alertd.web.actions.forms import BY_LINK, MAX_NAME, form_of
from alertd.web.actions.perform import fields_of, last_said, may_see, record_of, say
from alertd.web.server.access import needs, refuse_other_sites, visitor_of
from alertd.web.server.context import Site, site_of
from alertd.web.server.flash import sent_on, told_of
from alertd.web.server.render import page

UNSEEN = {"x-robots-tag": "noindex, nofollow"}
SUPERSEDED = "something else has been said of it since; its own page shows what"


@needs(Scope.PUBLIC, from_elsewhere=True)
async def act_by_link(request: Request) -> Response:
    """``/act/{token}``."""
    site = site_of(request)
    link = read_token(request.path_params["token"], site.keys.all_of(PURPOSE))
    if link is None:
        return _refused(request, 404, "This link is not one of ours", "It may have been cut off on its way.")
    if link.expires <= site.clock.now():
        return _refused(request, 410, "This link has expired", "A newer message has newer links.")
    if request.method == "POST":
        # The token is the proof that the form is ours; a session, and so a cookie, is not needed.
        refuse_other_sites(request)
        answer = await _acted(request, link)
    else:
        answer = await _form(request, link)
    answer.headers.update(UNSEEN)
    return answer


async def _acted(request: Request, link: Link) -> Response:
    site, given = site_of(request), await fields_of(request)
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
            last = await last_said(site, link.milestone)
            if last is not None and last.kind is saying.kind and last.how == saying.how:
                return sent_on(site, f"/act/{token}", "It was taken back already.")
            if last is None or last.at != link.undoes:
                raise RefusedAction(SUPERSEDED)
        answer = await say(request, link.milestone, saying)
    except FieldProblem as problem:
        return await _form(request, link, given=given, problem=problem)
    except RefusedAction as refused:
        return await _form(request, link, given=given, refused=str(refused))
    return sent_on(site, f"/act/{token}", answer.told, **await _undo(site, link, saying))


async def _undo(site: Site, link: Link, saying: ActionRequest) -> dict[str, str]:
    """What takes back what was said by the link just now, or by the same click before."""
    last = await last_said(site, link.milestone)
    if link.kind is LinkKind.UNDO or last is None or (last.kind, last.how) != (saying.kind, saying.how):
        return {}
    undo = Link(
        kind=LinkKind.UNDO,
        milestone=link.milestone,
        receiver=link.receiver,
        expires=site.clock.now() + UNDO_LASTS,
        undoes=last.at,
    )
    return {"undo": token_of(undo, site.keys.of(PURPOSE))}


async def _form(
    request: Request,
    link: Link,
    *,
    given: dict[str, str] | None = None,
    problem: FieldProblem | None = None,
    refused: str = "",
) -> Response:
    site, now = site_of(request), site_of(request).clock.now()
    record = await record_of(site, link.milestone)
    milestone = record.milestone
    form = form_of(BY_LINK[link.kind], record, site, asks_name=True, given=given, problem=problem)
    return page(
        request,
        "act.html",
        409 if refused else 422 if problem else 200,
        milestone=milestone,
        claims=claim_lines(milestone, now, "", record.standing.done_on),
        stands=list(standing_lines(record.standing, milestone.zone, now)),
        # Once it is said, the page says so and no longer asks.
        form=None if told_of(request) or not _may_be_said(link, record) else form,
        token=request.path_params["token"],
        undo=_undo_of(request, link),
        refused=refused,
        may_see=may_see(visitor_of(request)),
    )


def _may_be_said(link: Link, record: Record) -> bool:
    return link.kind is LinkKind.UNDO or not record.standing.closed


def _undo_of(request: Request, link: Link) -> str:
    """The token by which to take it back; "" for none, or one of another milestone."""
    site, token = site_of(request), request.query_params.get("undo", "")
    found = read_token(token, site.keys.all_of(PURPOSE))
    fits = found is not None and (found.kind, found.milestone) == (LinkKind.UNDO, link.milestone)
    return token if fits else ""


def _refused(request: Request, status: int, title: str, advice: str) -> Response:
    answer = page(request, "act-refused.html", status, title=title, advice=advice)
    answer.headers.update(UNSEEN)
    return answer
