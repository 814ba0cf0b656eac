variable "model_uuid" {
  description = "UUID of the model to deploy to."
  type        = string
  nullable    = false
}

variable "app_name" {
  description = "Name of the application in the model."
  type        = string
  default     = "microcluster-token-distributor"
  nullable    = false
}

variable "channel" {
  description = "Channel of Charmhub to deploy from."
  type        = string
  default     = "v1/stable"
  nullable    = false
}

variable "revision" {
  description = "Revision of the charm; the channel's newest at the time of deployment, if null."
  type        = number
  default     = null
}

variable "base" {
  description = "Operating system of the units, such as ubuntu@24.04; Juju's choice, if null."
  type        = string
  default     = null

  validation {
    condition = (
      var.base == null
      ? true
      : contains(["ubuntu@22.04", "ubuntu@24.04", "ubuntu@26.04"], var.base)
    )
    error_message = "The charm runs on ubuntu@22.04, ubuntu@24.04 and ubuntu@26.04."
  }
}

variable "constraints" {
  description = "Constraints of the units' machines, such as \"arch=arm64\"; the model's, if null."
  type        = string
  default     = null
}

variable "units" {
  description = "Number of units. One is enough to form clusters; three outlive a machine."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.units >= 0 && floor(var.units) == var.units
    error_message = "The number of units is a whole number, zero or more."
  }
}

variable "machines" {
  description = "Machines to place the units on, one each, in place of `units`."
  type        = set(string)
  default     = null
}
