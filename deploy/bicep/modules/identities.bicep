// Two identities, so that the console, which the world can reach, may do less than the worker.
param location string
param issuer string
param workerSubject string
param consoleSubject string

resource worker 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'labelbridge-worker'
  location: location
}

resource console 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'labelbridge-console'
  location: location
}

resource workerInCluster 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = if (!empty(workerSubject)) {
  parent: worker
  name: 'kubernetes'
  properties: {
    issuer: issuer
    subject: workerSubject
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}

resource consoleInCluster 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = if (!empty(consoleSubject)) {
  parent: console
  name: 'kubernetes'
  properties: {
    issuer: issuer
    subject: consoleSubject
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}

output workerPrincipalId string = worker.properties.principalId
output workerClientId string = worker.properties.clientId
output consolePrincipalId string = console.properties.principalId
output consoleClientId string = console.properties.clientId
