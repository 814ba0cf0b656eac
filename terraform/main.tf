resource "juju_application" "microcluster_token_distributor" {
  name       = var.app_name
  model_uuid = var.model_uuid

  charm {
    name     = "microcluster-token-distributor"
    channel  = var.channel
    revision = var.revision
    base     = var.base
  }

  constraints = var.constraints
  # The provider takes one or the other.
  units    = var.machines == null ? var.units : null
  machines = var.machines
}
