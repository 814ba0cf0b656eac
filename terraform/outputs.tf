output "app_name" {
  description = "Name of the application, for integrations."
  value       = juju_application.microcluster_token_distributor.name
}

output "provides" {
  description = "Endpoints that the charm provides."
  value = {
    microcluster_cluster = "microcluster-cluster"
  }
}

output "requires" {
  description = "Endpoints that the charm requires: none."
  value       = {}
}
