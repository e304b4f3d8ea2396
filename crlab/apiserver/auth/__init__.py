"""Who asks, and what they may do: bearer tokens, impersonation, RBAC, reviews.

    authentication    a request becomes an Identity; impersonation headers
    rbac              stored roles and bindings decide; default_role is what Kubernetes ships
    escalation        nobody grants what they do not have
    review            the review kinds, answered from the same rules

Only the bearer-token server asks for tokens; without them everybody is the administrator,
who may impersonate others.
"""
