terraform {
  required_version = ">= 1.6"

  required_providers {
    juju = {
      source = "juju/juju"
      # 1.0 names a model by its UUID; 2.0 adds Juju 4 and changes no resource.
      version = ">= 1.0, < 3.0"
    }
  }
}
