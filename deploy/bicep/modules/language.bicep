// Roles on the Language resource: the worker locks, imports, trains and deploys; the console looks.
param accountName string
param workerPrincipalId string
param consolePrincipalId string

var languageOwner = 'f07febfe-79bc-46b1-8b37-790e26e6e498'
var languageReader = '7628b7b8-a8b2-4cdc-b46f-e9b35248918e'
var reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7'

var grants = [
  {
    principal: workerPrincipalId
    role: languageOwner
  }
  {
    // To read who has which role, and the account itself.
    principal: workerPrincipalId
    role: reader
  }
  {
    principal: consolePrincipalId
    role: languageReader
  }
  {
    principal: consolePrincipalId
    role: reader
  }
]

resource account 'Microsoft.CognitiveServices/accounts@2024-10-01' existing = {
  name: accountName
}

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for grant in grants: {
  scope: account
  name: guid(account.id, grant.principal, grant.role)
  properties: {
    principalId: grant.principal
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
  }
}]

@description('The resource\'s own, system-assigned identity, which it must have.')
output principalId string = account.identity.principalId
