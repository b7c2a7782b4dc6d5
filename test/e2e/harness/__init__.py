# SPDX-License-Identifier: MIT
"""What the end-to-end tests stand on: a PKI, the proxy as a process, backends, clients, the audit log read back."""
