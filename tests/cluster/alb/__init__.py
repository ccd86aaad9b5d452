"""A stand-in for an application load balancer and its controller, and for a plain Ingress controller: nginx for both.

``model`` says what the objects in the cluster ask for, ``targets`` what state each target is in, ``front`` has nginx do
it, ``gates`` is the controller's webhook, and ``controller`` the loop that ties them. What it is true to, and where it
is not: ``docs/testing.md``.
"""
