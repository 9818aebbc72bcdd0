// Roles on the projects' storage account. The Language resource and the workspace read and write there too.
param accountName string
param workerPrincipalId string

@description('Principals that read and write documents and labels.')
param writers string[]

var blobContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7'

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
}

resource contributors 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for writer in writers: {
  scope: account
  name: guid(account.id, writer, blobContributor)
  properties: {
    principalId: writer
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobContributor)
  }
}]

// The preflight looks here whether the others have their roles.
resource looks 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account
  name: guid(account.id, workerPrincipalId, reader)
  properties: {
    principalId: workerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', reader)
  }
}
